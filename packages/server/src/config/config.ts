import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartupError } from '../startupError.ts';
import { asObject, unknownKey } from './check.ts';
import { checkRules, type RuleConfig } from './rules.ts';

/** What `nowcast.config.ts` exports. */
export interface NowcastConfig {
  /** Rules that the file owns: new ones, and changes of defaults by their names. */
  readonly rules?: readonly RuleConfig[];
  /** Where alerts go. */
  readonly channels?: readonly unknown[];
}

/** A configuration that was read and whose shape is right. */
export interface LoadedConfig {
  /** The file's name, for messages. */
  readonly file: string;
  readonly rules: readonly RuleConfig[];
  readonly channels: readonly unknown[];
}

const fileNames = ['nowcast.config.ts', 'nowcast.config.mts', 'nowcast.config.js', 'nowcast.config.mjs'];

/** Gives the configuration its types in an editor: `export default defineConfig({ rules: [] })`. */
export function defineConfig(config: NowcastConfig): NowcastConfig {
  return config;
}

/**
 * Reads the configuration file; undefined when there is none.
 *
 * @param file an absolute path that somebody named: then it must be there
 * @throws StartupError that names the file and the place in it
 */
export async function loadConfig(
  file: string | undefined,
  directory = process.cwd(),
): Promise<LoadedConfig | undefined> {
  if (file !== undefined && !existsSync(file)) {
    throw new StartupError(`NOWCAST_CONFIG names ${file}, and there is no such file.`, 2);
  }
  const found = file ?? fileNames.map((name) => path.join(directory, name)).find(existsSync);
  if (found === undefined) return undefined;
  const name = path.basename(found);
  return checkConfig(name, await readModule(found, name));
}

/** @throws StartupError that names the place */
export function checkConfig(file: string, exported: unknown): LoadedConfig {
  const fail = (place: string, rule: string): never => {
    throw new StartupError(`${file}: ${place} ${rule}.`, 2);
  };
  const config = asObject('the default export', exported, fail);
  unknownKey('the default export', config, ['rules', 'channels'], fail);
  const { rules = [], channels = [] } = config;
  if (!Array.isArray(channels)) return fail('channels', 'must be a list');
  return { file, rules: checkRules(rules, fail), channels };
}

async function readModule(file: string, name: string): Promise<unknown> {
  // Loaded where there is a file to read: it brings a compiler along.
  const { createJiti } = await import('jiti');
  const own = fileURLToPath(import.meta.url);
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    // So that the file needs nothing installed beside it.
    alias: { 'nowcast/config': own },
  });
  try {
    return await jiti.import(file, { default: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(`${name} cannot be read: ${reason.split('\n')[0]}`, 2, { cause: error });
  }
}
