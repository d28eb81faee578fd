import os from 'node:os';

/**
 * How the embedded PostgreSQL is set, as command-line options: they win over postgresql.conf and ALTER SYSTEM,
 * so a new version of Nowcast reaches old clusters too, and root never has to write a file inside a directory
 * that belongs to another uid. Somebody who wants other figures runs their own server through DATABASE_URL.
 */
export function serverOptions(port: number, maxConnections = 60): string[] {
  return Object.entries({
    // Reachable from this machine only. No unix socket: its path may not exceed 107 bytes, a clone's may.
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),

    // "2xx means committed" rests on these three; they are PostgreSQL's defaults, named so that an edited
    // postgresql.conf cannot quietly turn a promise off.
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',

    // Summaries and the newest partition stay cached; the rest of a small machine belongs to the page cache.
    shared_buffers: os.totalmem() >= 4 * 2 ** 30 ? '256MB' : '128MB',
    // The writer, a pool of ten, other doors (psql, other services) and room; each costs memory when used.
    max_connections: String(maxConnections),
    // Fewer, longer checkpoints: after each one every page is written to the WAL in full once more. 2 GB of WAL
    // replay in seconds.
    max_wal_size: '2GB',
    min_wal_size: '256MB',
    checkpoint_timeout: '15min',
    // Full-page images shrink to a fraction; pglz because this build has no lz4.
    wal_compression: 'pglz',
    // Data lie on an SSD as good as everywhere; 4.0 makes the planner shun indexes.
    random_page_cost: '1.1',
    // Our queries are short: compiling one takes longer than running it.
    jit: 'off',

    // Days and minutes are UTC in every layer; error messages are compared and shown in English.
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',

    log_line_prefix: '%m [%p] %q%a ',
    // Each checkpoint as a line would bury what matters in a file that a person reads.
    log_checkpoints: 'off',
    // Shown by ps, so that a person can tell this PostgreSQL from others.
    cluster_name: 'nowcast',
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
