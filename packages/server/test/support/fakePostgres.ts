import { createServer, type Socket } from 'node:net';
import pg from 'pg';

/** What a query gives, values as PostgreSQL writes them. */
type Result = { fields: { name: string; dataTypeID: number }[]; rows: string[][] };
/** One connection's way to answer; `ended` when the client has left. */
export type Session = { answer(sql: string): Promise<Result>; ended?(): void };
/** An error as PostgreSQL sends it. */
export class ServerError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const sslRequest = 80_877_103;

/**
 * Speaks as much of PostgreSQL's protocol (version 3, simple queries) as a client needs that asks before it works:
 * for servers that cannot be had from npm, such as old versions and poolers.
 *
 * @param open called for each connection; throw to refuse it
 */
export async function startFakePostgres(
  open: (user: string) => Session,
): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket, open)
      .catch(() => undefined)
      .finally(() => {
        sockets.delete(socket);
        socket.destroy();
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `postgresql://app:secret@127.0.0.1:${port}/app`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As PgBouncer with `pool_mode = transaction`: a session of the real server is lent for one transaction at a time. */
export async function startTransactionPooler(url: string, sessions: number) {
  const pool = new pg.Pool({ connectionString: url, max: sessions, types: { getTypeParser: () => String } });
  const pooler = await startFakePostgres(() => {
    let held: pg.PoolClient | undefined;
    const giveBack = () => {
      held?.release();
      held = undefined;
    };
    return {
      async answer(sql) {
        held ??= await pool.connect();
        const inTransaction =
          /^begin/i.test(sql) || (held.getTransactionStatus() === 'T' && !/^rollback/i.test(sql));
        try {
          return await held.query<string[]>({ text: sql, rowMode: 'array' });
        } finally {
          if (!inTransaction) giveBack();
        }
      },
      ended: giveBack,
    };
  });
  return {
    ...pooler,
    async close() {
      await pooler.close();
      await pool.end();
    },
  };
}

async function serve(socket: Socket, open: (user: string) => Session): Promise<void> {
  const read = reader(socket);
  let startup: Buffer;
  do {
    startup = await read((await read(4)).readInt32BE() - 4);
    if (startup.readInt32BE() === sslRequest) socket.write('N');
  } while (startup.readInt32BE() === sslRequest);
  const [, user = ''] = /\0user\0([^\0]*)\0/.exec(`\0${startup.toString('utf8', 4)}`) ?? [];
  let session: Session;
  try {
    session = open(user);
  } catch (error) {
    socket.end(errorMessage(error));
    return;
  }
  try {
    const authenticationOk = message('R', int32(0));
    const ready = message('Z', Buffer.from('I'));
    socket.write(Buffer.concat([authenticationOk, ready]));
    for (;;) {
      const type = (await read(1)).toString();
      const body = await read((await read(4)).readInt32BE() - 4);
      if (type !== 'Q') return;
      const answer = await session
        .answer(body.toString('utf8', 0, body.length - 1))
        .then(resultMessages, errorMessage);
      socket.write(Buffer.concat([answer, ready]));
    }
  } finally {
    session.ended?.();
  }
}

function resultMessages({ fields, rows }: Result): Buffer {
  const complete = message('C', Buffer.from('SELECT\0'));
  if (fields.length === 0) return complete;
  const columns = fields.map(({ name, dataTypeID }) => {
    // Of no table, of any length, as text.
    const rest = Buffer.alloc(18);
    rest.writeInt32BE(dataTypeID, 6);
    rest.writeInt16BE(-1, 10);
    rest.writeInt32BE(-1, 12);
    return Buffer.concat([Buffer.from(`${name}\0`), rest]);
  });
  const data = rows.map((row) => {
    const values = row.map((value) => Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]));
    return message('D', Buffer.concat([int16(row.length), ...values]));
  });
  return Buffer.concat([message('T', Buffer.concat([int16(fields.length), ...columns])), ...data, complete]);
}

function errorMessage(error: unknown): Buffer {
  const { code = 'XX000', message: text } = error as ServerError;
  return message('E', Buffer.from(`SFATAL\0C${code}\0M${text}\0\0`));
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

/** Resolves with exactly so many bytes; rejects when the client has left. */
function reader(socket: Socket): (bytes: number) => Promise<Buffer> {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest = Buffer.alloc(0);
  return async (bytes) => {
    while (rest.length < bytes) {
      const { done, value } = await chunks.next();
      if (done) throw new Error('the client has left');
      rest = Buffer.concat([rest, value]);
    }
    const wanted = rest.subarray(0, bytes);
    rest = rest.subarray(bytes);
    return wanted;
  };
}
