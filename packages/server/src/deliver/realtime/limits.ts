/** Every queue and count of the realtime door has a bound; what happens at it is said beside it. */
export interface RealtimeLimits {
  /** Per client: data waiting for a slow reader. Beyond it the oldest is dropped and the client told how much. */
  readonly maxQueuedBytes: number;
  /** Of all slow clients together (bytes shared by several count once); beyond it the oldest of all is dropped. */
  readonly maxTotalQueuedBytes: number;
  /** Changes waiting to be encoded when publishing outruns fan-out; beyond it the oldest become a told gap. */
  readonly maxPendingChanges: number;
  /** Answered 503 at the upgrade. */
  readonly maxSockets: number;
  /** The join is answered with an error. */
  readonly maxChannelsPerSocket: number;
  readonly maxBindingsPerChannel: number;
  /** Any other message than a broadcast: answered with an error. */
  readonly maxMessageBytes: number;
  /** A frame above it closes the socket (1009): it is never held in memory. */
  readonly maxBroadcastBytes: number;
  /** Without a message from the client for so long the socket is closed (clients send a heartbeat every 25 s). */
  readonly idleMs: number;
  /** A peer that answers neither a ping nor anything else within this time is dead. */
  readonly pingMs: number;
  /** How long closing waits for the clients' own close frames. */
  readonly closeMs: number;
}

export const DEFAULT_LIMITS: RealtimeLimits = {
  maxQueuedBytes: 4 * 1024 * 1024,
  maxTotalQueuedBytes: 64 * 1024 * 1024,
  maxPendingChanges: 16_384,
  maxSockets: 10_000,
  maxChannelsPerSocket: 100,
  maxBindingsPerChannel: 100,
  maxMessageBytes: 64 * 1024,
  maxBroadcastBytes: 256 * 1024,
  idleMs: 60_000,
  pingMs: 30_000,
  closeMs: 1_000,
};
