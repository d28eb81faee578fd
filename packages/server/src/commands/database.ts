import type { Settings } from '../settings.ts';
import { startEmbedded } from '../store/embedded/embedded.ts';
import { findOwner } from '../store/embedded/owner.ts';
import { connectionUrl, readAddress } from '../store/embedded/urlFile.ts';

/**
 * Calls `use` with the URL of the database that the settings name: the given one; the embedded one of a Nowcast that
 * runs; or the embedded one, started for as long as `use` takes.
 */
export async function withDatabase<Result>(
  settings: Settings,
  purpose: string,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  if (settings.databaseUrl !== undefined) return await use(settings.databaseUrl);
  const address = findOwner(settings.dataDir) && readAddress(settings.dataDir);
  if (address) return await use(connectionUrl(address));
  const log = { info: () => undefined, warn: (message: string) => console.error(message) };
  const embedded = await startEmbedded({ dataDir: settings.dataDir, log, purpose });
  try {
    return await use(embedded.url);
  } finally {
    await embedded.stop();
  }
}
