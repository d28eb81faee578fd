import type { InferenceEvent } from './event.ts';

const maxMessageLength = 2_000;

/** What an error says of itself: its message, and a provider's code, type and status as metadata. */
export function errorFields(
  error: unknown,
  metadata?: Record<string, unknown> | null,
): Pick<InferenceEvent, 'is_error' | 'error_message' | 'metadata'> {
  const { name, message, code, type, status, statusCode } = Object(error) as Record<string, unknown>;
  const details: Record<string, unknown> = { ...metadata };
  if (typeof name === 'string') details.error_name = name;
  if (typeof code === 'string' || typeof code === 'number') details.error_code = code;
  if (typeof type === 'string') details.error_type = type;
  const answered = status ?? statusCode;
  if (typeof answered === 'number') details.error_status = answered;
  return {
    is_error: true,
    error_message: (typeof message === 'string' ? message : String(error)).slice(0, maxMessageLength),
    metadata: details,
  };
}
