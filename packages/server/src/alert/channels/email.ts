import { createTransport } from 'nodemailer';
import type { Message } from '../message/message.ts';
import { type Attempt, DeliveryError, type Receipt } from './channel.ts';
import { emailHtml, emailText } from './emailBody.ts';
import { type AddressGuard, ForbiddenTarget } from './http/addressGuard.ts';

export interface EmailOptions {
  /** smtp://user:password@host:587 or smtps://…:465 */
  readonly url: string;
  readonly to: readonly string[];
  readonly from: string;
  /** Undefined where whoever runs the server named the mail server: such a one stands in the private network. */
  readonly guard: AddressGuard | undefined;
}

const timeoutMs = 10_000;

/** E-mail: an incident is one thread, and a message sent twice has the same Message-ID. */
export function email({ url, to, from, guard }: EmailOptions) {
  return async (message: Message, { idempotencyKey, signal }: Attempt): Promise<Receipt> => {
    const { protocol, hostname, port, username, password, searchParams } = new URL(url);
    const secure = protocol === 'smtps:';
    const transport = createTransport({
      // The address that was checked; the certificate stays that of the name.
      host: guard === undefined ? hostname : await checked(guard, hostname),
      tls: { servername: hostname },
      port: port === '' ? (secure ? 465 : 587) : Number(port),
      secure,
      // A password travels encrypted, unless somebody says otherwise.
      requireTLS: !secure && username !== '' && searchParams.get('requireTLS') !== 'false',
      ...(username === ''
        ? {}
        : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
    });
    const abort = () => transport.close();
    signal.addEventListener('abort', abort, { once: true });
    const domain = from.replace(/^.*@/, '').replace(/>.*$/, '');
    const thread = `<${message.key}@${domain}>`;
    try {
      await transport.sendMail({
        from,
        to: [...to],
        subject: message.headline,
        text: emailText(message),
        html: emailHtml(message),
        messageId: `<${idempotencyKey}@${domain}>`,
        inReplyTo: thread,
        references: [thread],
        headers: {
          'X-Nowcast-Incident': message.subject?.incidentId ?? 'none',
          'Auto-Submitted': 'auto-generated',
          ...(message.tone === 'critical' ? { Importance: 'high' } : {}),
        },
        // Neither files nor URLs are read for a message.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      return {};
    } catch (error) {
      throw failureOf(error);
    } finally {
      signal.removeEventListener('abort', abort);
      transport.close();
    }
  };
}

async function checked(guard: AddressGuard, host: string): Promise<string> {
  try {
    return (await guard.check(host)).address;
  } catch (error) {
    if (error instanceof ForbiddenTarget) throw new DeliveryError(error.message, { retry: false });
    throw new DeliveryError('the mail server cannot be resolved', { retry: true });
  }
}

/** SMTP says by the first digit whether trying again can help (RFC 5321, 4.2.1); its words stay where they are. */
function failureOf(error: unknown): DeliveryError {
  const { responseCode, code, command } = error as { responseCode?: number; code?: string; command?: string };
  if (responseCode !== undefined) {
    return new DeliveryError(`the mail server answered ${responseCode}`, {
      retry: responseCode < 500,
    });
  }
  const known = typeof code === 'string' && /^[A-Z_]{2,30}$/.test(code) ? code : 'unknown reason';
  return new DeliveryError(`the mail server cannot be reached (${known})`, {
    retry: true,
    // Once the text was under way, only an answer tells.
    maybeDelivered: command === 'DATA',
  });
}
