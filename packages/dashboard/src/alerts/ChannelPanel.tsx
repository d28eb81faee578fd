import { useCallback, useState } from 'react';
import { ServiceKeyDrawer } from '../app/ServiceKeyDrawer.tsx';
import { signIn, useFeed } from '../app/session.ts';
import { type Channel, loadChannels, testChannel } from '../data/alertQueries.ts';
import { duration, quantity } from '../data/format.ts';
import { LoadError } from '../data/queries.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { Panel } from '../ui/Panel.tsx';
import { emptied } from '../ui/panelState.ts';
import { useNow } from '../ui/useNow.ts';
import { useAlertLoad } from './useAlertLoad.ts';
import { isDenied, useChange } from './useChange.tsx';

const looks = {
  working: { word: 'Working', icon: 'good', colour: 'text-good' },
  failing: { word: 'Failing', icon: 'bad', colour: 'text-bad' },
  untried: { word: 'Not tried yet', icon: 'waiting', colour: 'text-unknown' },
} as const;

/** 'denied': the key may not know of channels. 'missing': this server has none. */
type Known = readonly Channel[] | 'denied' | 'missing';

async function load(): Promise<Known> {
  try {
    return await loadChannels();
  } catch (error) {
    if (isDenied(error)) return 'denied';
    if (error instanceof LoadError && error.status === 404) return 'missing';
    throw error;
  }
}

/** Where news of alerts goes, and whether it arrives. */
export function ChannelPanel() {
  const feed = useFeed();
  const now = useNow(feed, 10_000);
  const { value, state, reload } = useAlertLoad(
    'system_alerts incident_timeline',
    useCallback(() => load(), []),
  );
  const [asking, setAsking] = useState(false);
  const channels = Array.isArray(value) ? (value as readonly Channel[]) : [];
  const none = value === 'missing' || (Array.isArray(value) && value.length === 0);
  return (
    <Panel
      title="Channels"
      caption="where alerts are told"
      state={none ? emptied(state) : state}
      onRetry={reload}
      empty="None: alerts are told on this page alone. SLACK_WEBHOOK_URL or a row in alert_channels makes one."
    >
      {value === 'denied' && (
        <div className="flex flex-wrap items-center gap-3 px-4 pb-4 text-muted text-small">
          Channels are shown to a service key.
          <Button onClick={() => setAsking(true)}>Enter one</Button>
        </div>
      )}
      <ul>
        {channels.map((channel) => (
          <ChannelLine key={channel.name} channel={channel} now={now} onTested={reload} />
        ))}
      </ul>
      {asking && (
        <ServiceKeyDrawer
          what="Seeing channels"
          onClose={() => setAsking(false)}
          onKey={(key) => signIn(key)}
        />
      )}
    </Panel>
  );
}

interface ChannelLineProps {
  readonly channel: Channel;
  readonly now: number;
  readonly onTested: () => void;
}

function ChannelLine({ channel, now, onTested }: ChannelLineProps) {
  const { name, kind, enabled, state, waiting, lastDeliveredAt, lastError, source } = channel;
  const testing = useChange('The test');
  const look = looks[state];
  return (
    <li
      data-channel={name}
      data-channel-state={state}
      className="flex flex-wrap items-center gap-x-3 gap-y-1 border-line border-t px-4 py-2.5"
    >
      <div className="min-w-0 flex-1 basis-48">
        <p className="flex flex-wrap items-center gap-x-2 text-small">
          <span className="font-medium">{name}</span>
          <span className="text-muted">
            {kind === name ? '' : `${kind}, `}from the {source}
          </span>
          <span
            className={`inline-flex items-center gap-1 font-medium ${enabled ? look.colour : 'text-muted'}`}
          >
            <Icon name={enabled ? look.icon : 'pause'} className="size-4" />
            {enabled ? look.word : 'Off'}
          </span>
        </p>
        <p className="min-w-0 break-words text-caption text-muted">
          {lastDeliveredAt === null
            ? 'nothing delivered yet'
            : `last delivered ${duration(now - lastDeliveredAt)} ago`}
          {waiting > 0 && `, ${quantity(waiting, 'message')} waiting`}
          {state === 'failing' && lastError !== null && `: ${lastError}`}
        </p>
      </div>
      <Button
        disabled={testing.busy}
        aria-label={`Send a test to ${name}`}
        onClick={() =>
          testing.run(async () => {
            const problem = await testChannel(name);
            onTested();
            return problem === undefined
              ? { text: `The test message to ${name} was delivered.` }
              : { text: `The test message to ${name} was not delivered: ${problem}`, failed: true };
          })
        }
      >
        {testing.busy ? 'Sending …' : 'Send a test'}
      </Button>
      {testing.dialog}
    </li>
  );
}
