-- The storage of the article's design, statement for statement: bigserial key,
-- numeric columns, four indexes, a per-row anomaly trigger.
--
-- Left out: create_hypertable. It needs TimescaleDB, and TimescaleDB refuses a
-- primary key without the partitioning column, which is what the article has.
-- Left out: the pg_cron refresh of the materialized view. Not refreshing costs
-- the article's side nothing, so the comparison is kinder to it.

CREATE TABLE inference_logs (
  id                BIGSERIAL PRIMARY KEY,
  timestamp         TIMESTAMPTZ NOT NULL DEFAULT now(),
  model_version     TEXT NOT NULL,
  inference_time_ms NUMERIC(10, 2) NOT NULL,
  confidence_score  NUMERIC(5, 4),
  input_size_bytes  INTEGER,
  prediction_class  TEXT,
  is_error          BOOLEAN DEFAULT FALSE,
  error_message     TEXT,
  metadata          JSONB
);

CREATE INDEX idx_inference_logs_timestamp ON inference_logs (timestamp DESC);
CREATE INDEX idx_inference_logs_model     ON inference_logs (model_version, timestamp DESC);
CREATE INDEX idx_inference_logs_errors    ON inference_logs (is_error, timestamp DESC)
  WHERE is_error = TRUE;

CREATE TABLE system_alerts (
  id           SERIAL PRIMARY KEY,
  timestamp    TIMESTAMPTZ NOT NULL DEFAULT now(),
  severity     TEXT NOT NULL,
  alert_type   TEXT NOT NULL,
  message      TEXT NOT NULL,
  metadata     JSONB,
  acknowledged BOOLEAN DEFAULT FALSE
);

CREATE FUNCTION check_inference_anomalies() RETURNS trigger AS $$
DECLARE
  recent_avg NUMERIC;
BEGIN
  IF NEW.inference_time_ms > 5000 THEN
    SELECT avg(inference_time_ms) INTO recent_avg
    FROM inference_logs
    WHERE timestamp > now() - INTERVAL '5 minutes'
      AND model_version = NEW.model_version;

    IF NEW.inference_time_ms > (recent_avg * 3) THEN
      INSERT INTO system_alerts (severity, alert_type, message, metadata)
      VALUES (
        'warning',
        'high_latency',
        format('Inference latency spike: %sms (avg: %sms)', NEW.inference_time_ms, recent_avg),
        jsonb_build_object(
          'model_version', NEW.model_version,
          'inference_time_ms', NEW.inference_time_ms,
          'recent_avg_ms', recent_avg
        )
      );
    END IF;
  END IF;
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER inference_anomaly_check
  AFTER INSERT ON inference_logs
  FOR EACH ROW EXECUTE FUNCTION check_inference_anomalies();

CREATE MATERIALIZED VIEW inference_metrics_hourly AS
SELECT
  date_trunc('minute', timestamp) AS minute,
  model_version,
  count(*) AS request_count,
  avg(inference_time_ms) AS avg_latency_ms,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY inference_time_ms) AS p95_latency_ms,
  avg(confidence_score) AS avg_confidence,
  sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS error_count,
  round(100.0 * sum(CASE WHEN is_error THEN 1 ELSE 0 END) / count(*), 2) AS error_rate_pct
FROM inference_logs
WHERE timestamp > now() - INTERVAL '1 hour'
GROUP BY date_trunc('minute', timestamp), model_version
ORDER BY minute DESC;

CREATE UNIQUE INDEX ON inference_metrics_hourly (minute, model_version);
