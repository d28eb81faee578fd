import { HttpError } from '../httpError.ts';

/** What is read of a span, whether it came as protobuf or as JSON. */
export interface Span {
  /** In lower-case hexadecimal, as all ids; '' where there is none. */
  readonly traceId: string;
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  readonly start: Nanos;
  readonly end: Nanos;
  readonly attributes: readonly Attribute[];
  readonly events: readonly SpanEvent[];
  readonly isError: boolean;
  readonly statusMessage: string;
}

export interface SpanEvent {
  readonly at: Nanos;
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

export type AttributeValue = string | number | boolean | readonly (string | number | boolean)[];

export interface Attribute {
  readonly name: string;
  readonly value: AttributeValue;
}

/** Spans of one resource, such as one process. */
export interface ResourceSpans {
  readonly resource: readonly Attribute[];
  readonly spans: readonly Span[];
}

/** Says by an attribute's name whether its value is read at all: contents are skipped where they lie. */
export type Wanted = (name: string) => boolean;

/** Nanoseconds since 1970 as two 32-bit halves: they exceed what a double holds exactly. */
export interface Nanos {
  readonly high: number;
  readonly low: number;
}

const twoTo32 = 2 ** 32;

/** All zeroes is how OpenTelemetry writes that there is no id: calls without one have no trace in common. */
export function validId(hex: string): string {
  return /[^0]/.test(hex) ? hex : '';
}

/** Whole microseconds, truncated. */
export function microsOf({ high, low }: Nanos): number {
  // Divided in two steps, each of which is exact in doubles.
  const quotient = Math.floor(high / 1000);
  return quotient * twoTo32 + Math.floor(((high - quotient * 1000) * twoTo32 + low) / 1000);
}

/** Milliseconds from one time to the other, to the nanosecond for spans up to a hundred days. */
export function millisBetween(start: Nanos, end: Nanos): number {
  return ((end.high - start.high) * twoTo32 + (end.low - start.low)) / 1e6;
}

/** The body is no OTLP request. */
export function malformed(message: string): HttpError {
  return new HttpError(400, 'malformed_otlp', message);
}
