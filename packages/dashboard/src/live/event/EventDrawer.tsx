import type { InferenceEvent } from '../../data/event.ts';
import { momentOfDay } from '../../data/format.ts';
import { Drawer } from '../../ui/Drawer.tsx';
import { EventFacts } from './EventFacts.tsx';

export function EventDrawer({ event, onClose }: { event: InferenceEvent; onClose: () => void }) {
  return (
    <Drawer
      onClose={onClose}
      title={`Event of ${event.model}`}
      description={momentOfDay(event.at, Date.now())}
    >
      <EventFacts event={event} />
    </Drawer>
  );
}
