/** A value of a REST or realtime filter, whose grammar it may hold. */
export function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
