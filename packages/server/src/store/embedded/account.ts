import { chownSync, lchownSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { StartupError } from '../../startupError.ts';

/** A uid and gid that a child process runs under. */
export type Account = { uid: number; gid: number };

/**
 * PostgreSQL refuses to run as root. Then it runs under this uid, which needs no entry in /etc/passwd: between
 * the ranges of ordinary users (to 60000) and of systemd's dynamic users (from 61184), and below 65534 so that
 * it exists in user namespaces which map only the first 65,536.
 */
const POSTGRES_UID = 60718;

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * The account that runs PostgreSQL: undefined (our own) unless we are root. A cluster that an ordinary user made
 * before keeps its owner, so that `sudo npm start` once does not lock that user out.
 */
export function serverAccount(clusterPath: string): Account | undefined {
  if (!isRoot()) return undefined;
  const owner = lstatSync(clusterPath, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return { uid: POSTGRES_UID, gid: POSTGRES_UID };
}

/**
 * initdb and single-user PostgreSQL look their own uid up in /etc/passwd and stop where it is missing (the
 * server does not). They run under an account which is listed; the files change hands afterwards.
 *
 * @param probe a path that belongs to us: giving it away tells whether the uid exists in our user namespace
 */
export function listedAccount(probe: string): Account | undefined {
  if (!isRoot()) return undefined;
  const candidates = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0)
    .sort((a, b) => Number(b.name === 'nobody') - Number(a.name === 'nobody'));
  for (const { uid, gid } of candidates) {
    try {
      chownSync(probe, uid, gid);
      return { uid, gid };
    } catch {
      // Not mapped here; the next may be.
    }
  }
  throw new StartupError(
    'PostgreSQL refuses to run as root and no other user exists here: start Nowcast as an ordinary user, or set DATABASE_URL.',
  );
}

/** Gives a directory tree to an account; symbolic links change hands themselves, their targets never do. */
export function giveTree(tree: string, account: Account): void {
  for (const entry of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
    lchownSync(path.join(tree, entry), account.uid, account.gid);
  }
  lchownSync(tree, account.uid, account.gid);
}
