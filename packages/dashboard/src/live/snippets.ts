/** The first event in three languages, with this very server's address: paste, run, look. */

export type Language = 'curl' | 'typescript' | 'python';

export const languages: readonly { readonly id: Language; readonly title: string }[] = [
  { id: 'curl', title: 'curl' },
  { id: 'typescript', title: 'TypeScript' },
  { id: 'python', title: 'Python' },
];

const event = {
  model_version: 'v1',
  inference_time_ms: 123.4,
  confidence_score: 0.97,
  input_size_bytes: 2048,
  prediction_class: 'invoice',
};

export function snippet(language: Language, origin: string, needsKey: boolean): string {
  const url = `${origin}/telemetry/inference`;
  const key = 'Bearer YOUR_INGEST_KEY';
  if (language === 'curl') {
    return [
      `curl -X POST ${url} \\`,
      ...(needsKey ? [`  -H 'authorization: ${key}' \\`] : []),
      "  -H 'content-type: application/json' \\",
      `  -d '${JSON.stringify(event, null, 2).replaceAll('\n', '\n  ')}'`,
    ].join('\n');
  }
  if (language === 'typescript') {
    return [
      `await fetch('${url}', {`,
      "  method: 'POST',",
      `  headers: { 'content-type': 'application/json'${needsKey ? `, authorization: '${key}'` : ''} },`,
      '  body: JSON.stringify({',
      ...Object.entries(event).map(([name, value]) => `    ${name}: ${literal(value)},`),
      '  }),',
      '  // Telemetry must never hold up or break what it watches.',
      '  signal: AbortSignal.timeout(2000),',
      '}).catch(() => {});',
    ].join('\n');
  }
  return [
    'import json, urllib.request',
    '',
    'request = urllib.request.Request(',
    `    "${url}",`,
    `    headers={"content-type": "application/json"${needsKey ? `, "authorization": "${key}"` : ''}},`,
    '    data=json.dumps({',
    ...Object.entries(event).map(([name, value]) => `        "${name}": ${JSON.stringify(value)},`),
    '    }).encode(),',
    ')',
    'try:',
    '    urllib.request.urlopen(request, timeout=2)',
    'except OSError:',
    '    pass  # telemetry must never hold up or break what it watches',
  ].join('\n');
}

function literal(value: string | number): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
