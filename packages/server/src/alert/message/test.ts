import type { Message } from './message.ts';

/** What a test of a channel says. */
export function testMessage(channel: string, now: Date, publicUrl: string): Message {
  return {
    key: `nowcast-test-${now.getTime()}`,
    step: 'once',
    tone: 'info',
    trouble: null,
    headline: `Test: alerts reach the channel ${channel}`,
    lead: 'Somebody tested this channel of Nowcast. Nothing is wrong.',
    cause: '',
    facts: [{ label: 'Tested', value: now }],
    others: [],
    examples: [],
    deployed: [],
    advice: '',
    freshness: '',
    late: '',
    since: now,
    until: null,
    links: [{ text: 'Open Nowcast', url: `${publicUrl}/` }],
    subject: null,
  };
}
