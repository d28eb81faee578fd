// What the article leaves to its reader: the parts that its component names. They are globals because the component,
// which is as printed, imports none of them.
import { createElement as h } from 'react';
import { createRoot } from 'react-dom/client';

globalThis.MetricsChart = ({ data }) =>
  h(
    'ol',
    { id: 'chart' },
    data.map((row) =>
      h('li', { key: row.minute + row.model_version }, `${row.model_version}: ${row.request_count} requests`),
    ),
  );
globalThis.AlertPanel = ({ alerts }) =>
  h(
    'ul',
    { id: 'alerts' },
    alerts.map((alert) => h('li', { key: alert.id }, `${alert.severity}: ${alert.message}`)),
  );
globalThis.LiveStats = ({ metrics }) =>
  h(
    'p',
    { id: 'stats' },
    metrics ? `${metrics.request_count} requests, ${metrics.avg_latency_ms} ms` : 'nothing yet',
  );
globalThis.showCriticalAlert = (message) => {
  document.title = message;
};

const { default: InferenceMonitor } = await import('./InferenceMonitor.jsx');
createRoot(document.getElementById('root')).render(h(InferenceMonitor));
