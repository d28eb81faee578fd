import type { Incident } from '../data/incident.ts';

export type Matchers = Readonly<Record<string, string>>;

/** What silences an incident: each of its models, or where it has none, each of its rules. */
export function matchersOf({ models, rules }: Pick<Incident, 'models' | 'rules'>): readonly Matchers[] {
  if (models.length > 0) return models.map((model_version) => ({ model_version }));
  return rules.map((rule) => ({ rule }));
}

/** "ocr-v2", "rule error_failure", "everything" */
export function matchersInWords(matchers: Matchers): string {
  const parts = Object.entries(matchers).map(([name, value]) =>
    name === 'model_version' ? value : `${name.replaceAll('_', ' ')} ${value}`,
  );
  return parts.length === 0 ? 'everything' : parts.join(', ');
}
