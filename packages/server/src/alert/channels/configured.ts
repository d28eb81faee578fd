import { StartupError } from '../../startupError.ts';
import { type ChannelSpec, channelSpec } from './spec.ts';

/**
 * The channels of the configuration file.
 *
 * @throws StartupError that names the file, the place in it and the rule, never a value of a secret
 */
export function configuredChannels(
  config: { readonly file: string; readonly channels: readonly unknown[] } | undefined,
  others: readonly ChannelSpec[],
): ChannelSpec[] {
  if (config === undefined) return [];
  const specs: ChannelSpec[] = [];
  for (const [index, given] of config.channels.entries()) {
    const place = `channels[${index}]`;
    let spec: ChannelSpec;
    try {
      spec = channelSpec(given, place, 'config');
    } catch (error) {
      throw new StartupError(`${config.file}: ${(error as Error).message}.`, 2);
    }
    const taken = [...others, ...specs].find(({ name }) => name === spec.name);
    if (taken !== undefined) {
      throw new StartupError(
        `${config.file}: ${place}.name "${spec.name}" is taken by ${taken.source === 'config' ? 'an earlier channel' : 'a channel of the environment'}.`,
        2,
      );
    }
    specs.push(spec);
  }
  return specs;
}
