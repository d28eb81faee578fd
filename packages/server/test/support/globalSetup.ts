import { startSharedPostgres } from './postgres.ts';

/** One PostgreSQL for the whole run; each test file clones its own database from the migrated template. */
export default async function setup(): Promise<() => Promise<void>> {
  return await startSharedPostgres();
}
