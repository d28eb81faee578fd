// Imported first by what npm runs: says before anything is installed that it could not work here. Every Node since 14 can
// read it, and the files that import it.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  refuse(`Nowcast needs Node 20.19 or newer and this is ${process.versions.node}: see https://nodejs.org.`);
}
if (process.platform === 'win32' && !process.env.DATABASE_URL) {
  refuse(
    `The embedded PostgreSQL does not exist for win32-${process.arch}: set DATABASE_URL to a PostgreSQL 15 or newer, or run Nowcast inside WSL.`,
  );
}

function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}
