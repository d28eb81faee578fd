import { withClient } from './database.ts';

/** One row of `inference_metrics_hourly`, as far as a count goes. */
export interface MetricsCount {
  minute: string;
  model_version: string;
  request_count: number;
}

/** What the view says now, newest minute first. */
export async function metricsCounts(databaseUrl: string): Promise<MetricsCount[]> {
  const query = 'SELECT minute, model_version, request_count FROM inference_metrics_hourly';
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ minute: Date; model_version: string; request_count: string }>(query),
  );
  return rows.map((row) => ({
    minute: row.minute.toISOString(),
    model_version: row.model_version,
    request_count: Number(row.request_count),
  }));
}
