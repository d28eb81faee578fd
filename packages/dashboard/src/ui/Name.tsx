/** So many characters at the end are always there: names of versions and of fine-tuned models differ in them. */
const endLength = 8;
const shortLength = 16;

/** A name that may be longer than its place. What is left out of it is in its middle. */
export function Name({ name, className = '' }: { name: string; className?: string }) {
  const cut = name.length > shortLength ? wholeCharacter(name, name.length - endLength) : name.length;
  return (
    <span className={`inline-flex min-w-0 ${className}`} title={name}>
      <span className="truncate">{name.slice(0, cut)}</span>
      {cut < name.length && <span className="shrink-0 whitespace-pre">{name.slice(cut)}</span>}
    </span>
  );
}

/** Half of a surrogate pair is no character. */
function wholeCharacter(name: string, at: number): number {
  return /[\udc00-\udfff]/.test(name.charAt(at)) ? at + 1 : at;
}
