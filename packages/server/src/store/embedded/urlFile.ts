import { readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What the connection URL of the embedded PostgreSQL says beyond user and database, which are fixed. */
export type Address = { port: number; password: string };

export const ROLE = 'nowcast';
export const DATABASE = 'nowcast';

export const urlFilePath = (dataDir: string): string => path.join(dataDir, 'postgres.url');

export function connectionUrl({ port, password }: Address, database = DATABASE): string {
  return `postgresql://${ROLE}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

/** The address kept from an earlier start; undefined where the file is missing or was edited beyond use. */
export function readAddress(dataDir: string): Address | undefined {
  try {
    const url = new URL(readFileSync(urlFilePath(dataDir), 'utf8').trim());
    const address = { port: Number(url.port), password: decodeURIComponent(url.password) };
    return address.port > 0 && address.password !== '' ? address : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the file in one step, so that a reader sees the old URL or the new one and nobody else sees either. */
export async function writeAddress(dataDir: string, address: Address): Promise<void> {
  const file = urlFilePath(dataDir);
  await rm(`${file}.new`, { force: true });
  await writeFile(`${file}.new`, `${connectionUrl(address)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(`${file}.new`, file);
}
