import { type FieldName, fieldNames, ruleOf } from './fields.ts';

type JsonSchema = Record<string, unknown>;

/** JSON Schema of one event, made from the table of fields. */
export function eventSchema(): JsonSchema {
  return {
    type: 'object',
    required: fieldNames.filter((name) => ruleOf(name).required === true),
    properties: Object.fromEntries(fieldNames.map((name) => [name, fieldSchema(name)])),
    additionalProperties: { description: 'Unknown fields are kept in metadata and named in warnings.' },
  };
}

function fieldSchema(name: FieldName): JsonSchema {
  const { kind, required, description, ...bounds } = ruleOf(name);
  const type = kind === 'text' || kind === 'timestamp' ? 'string' : kind;
  return {
    type: required === true ? type : [type, 'null'],
    description,
    ...(kind === 'timestamp' ? { format: 'date-time' } : {}),
    ...bounds,
  };
}

const jsonBody = (schema: JsonSchema) => ({ required: true, content: { 'application/json': { schema } } });
const jsonAnswer = (description: string, schema: JsonSchema) => ({
  description,
  content: { 'application/json': { schema } },
});

const event = { $ref: '#/components/schemas/InferenceEvent' };
const failure = (description: string) => jsonAnswer(description, { $ref: '#/components/schemas/Error' });
const overloaded = {
  ...failure('Too much is waiting, or the database is away: try again later.'),
  headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } },
};

/** What a rule would have done over stored history, and the question for it. */
const backtestQuestion = {
  type: 'object',
  required: ['rule'],
  additionalProperties: false,
  properties: {
    rule: {
      type: 'object',
      description:
        'The name of a rule and what is to be different, or a rule with a kind; fields as in the table alert_rules.',
      properties: {
        name: { type: 'string' },
        kind: { type: 'string' },
        condition: { type: 'object' },
        severity: { enum: ['warning', 'critical'] },
        min_events: { type: 'integer', minimum: 0 },
        for_seconds: { type: 'integer', minimum: 0 },
        keep_firing_seconds: { type: 'integer', minimum: 0 },
      },
    },
    since: { type: 'string', format: 'date-time', description: 'A week ago without it; at most 92 days.' },
    until: { type: 'string', format: 'date-time', description: 'Now without it.' },
  },
};
const frequency = { count: { type: 'integer' }, per_week: { type: 'number' } };
const backtestAnswer = {
  type: 'object',
  required: ['since', 'until', 'alerts', 'count', 'per_week', 'notes'],
  properties: {
    since: { type: 'string', format: 'date-time' },
    until: { type: 'string', format: 'date-time' },
    alerts: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          labels: { type: 'object', additionalProperties: { type: 'string' } },
          severity: { enum: ['warning', 'critical'] },
          opened_at: { type: 'string', format: 'date-time' },
          resolved_at: { type: ['string', 'null'], format: 'date-time' },
          first_bad_at: { type: 'string', format: 'date-time' },
          delay_seconds: { type: 'number' },
          message: { type: 'string' },
        },
      },
    },
    ...frequency,
    current: { type: 'object', description: 'What the rule does as it stands.', properties: frequency },
    notes: { type: 'array', items: { type: 'string' } },
  },
};

/** OpenAPI 3.1 description of the ingest and health routes, and of backtests. */
export function openApi(serverUrl: string): JsonSchema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Nowcast',
      version: '0.1.0',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Telemetry of AI inferences. 2xx means committed. `/rest/v1` and `/realtime/v1` speak the Supabase protocols.',
    },
    servers: [{ url: serverUrl }],
    paths: {
      '/telemetry/inference': {
        post: {
          summary: 'Log one inference',
          requestBody: jsonBody(event),
          responses: {
            200: jsonAnswer('Committed.', {
              type: 'object',
              required: ['status'],
              properties: {
                status: { const: 'logged' },
                warnings: { type: 'array', items: { type: 'string' } },
              },
            }),
            400: failure('The event breaks a rule.'),
            403: failure('Host or Origin is not this machine, and no keys are set.'),
            413: failure('The body is too large.'),
            503: overloaded,
          },
        },
      },
      '/telemetry/inference/batch': {
        post: {
          summary: 'Log many inferences',
          requestBody: jsonBody({
            oneOf: [
              { type: 'array', items: event },
              {
                type: 'object',
                required: ['events'],
                properties: { events: { type: 'array', items: event } },
              },
            ],
          }),
          responses: {
            200: jsonAnswer('The good events are committed; the others are named.', {
              type: 'object',
              required: ['status', 'accepted', 'rejected', 'duplicate', 'errors'],
              properties: {
                status: { const: 'logged' },
                accepted: { type: 'integer' },
                rejected: { type: 'integer' },
                duplicate: { type: 'boolean' },
                errors: {
                  type: 'array',
                  items: {
                    type: 'object',
                    properties: {
                      index: { type: 'integer' },
                      field: { type: 'string' },
                      message: { type: 'string' },
                    },
                  },
                },
                warnings: { type: 'array', items: { type: 'string' } },
              },
            }),
            400: failure('Not JSON, or neither an array nor an object with events.'),
            413: failure('The body is too large.'),
            503: overloaded,
          },
        },
      },
      '/telemetry/feedback': {
        post: {
          summary: 'Attach a verdict to the events of a trace',
          requestBody: jsonBody({
            type: 'object',
            required: ['trace_id'],
            properties: {
              trace_id: { type: 'string', minLength: 1 },
              quality_score: fieldSchema('quality_score'),
              feedback: fieldSchema('feedback'),
            },
          }),
          responses: {
            200: jsonAnswer('Stored; without a match it waits ten minutes for its events.', {
              type: 'object',
              required: ['status', 'matched'],
              properties: { status: { const: 'logged' }, matched: { type: 'integer' } },
            }),
            400: failure('The feedback breaks a rule.'),
            503: overloaded,
          },
        },
      },
      '/alerts/backtest': {
        post: {
          summary: 'Try a rule on stored history; nothing is saved (service key)',
          requestBody: jsonBody(backtestQuestion),
          responses: {
            200: jsonAnswer('What it would have done.', backtestAnswer),
            400: failure('The rule or the times break a rule.'),
            429: {
              ...failure('Another backtest is running; one runs at a time.'),
              headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } },
            },
          },
        },
      },
      '/health': {
        get: {
          summary: 'Is the monitor itself working?',
          responses: {
            200: jsonAnswer('healthy or degraded', { $ref: '#/components/schemas/Health' }),
            503: jsonAnswer('unhealthy', { $ref: '#/components/schemas/Health' }),
          },
        },
      },
      '/ready': { get: { summary: 'Ready to take events', responses: { 200: { description: 'ready' } } } },
    },
    components: {
      schemas: {
        InferenceEvent: eventSchema(),
        Error: {
          type: 'object',
          required: ['error', 'message'],
          properties: {
            error: { type: 'string' },
            message: { type: 'string' },
            field: { type: 'string' },
          },
        },
        Health: {
          type: 'object',
          required: ['status', 'database', 'last_event_age_seconds'],
          properties: {
            status: { enum: ['healthy', 'degraded', 'unhealthy'] },
            database: { type: 'string' },
            last_event_age_seconds: { type: ['number', 'null'] },
            message: { type: 'string' },
          },
        },
      },
    },
  };
}
