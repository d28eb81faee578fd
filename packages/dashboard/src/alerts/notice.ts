import type { SupabaseClient } from '@supabase/supabase-js';
import { Cell } from '../data/cell.ts';

export type ChangeOf<T> = (client: SupabaseClient) => Promise<T>;

/** What was just done, and how to take it back. It stays until the next one: nobody is hurried. */
export interface Notice {
  readonly text: string;
  readonly undo?: ChangeOf<unknown>;
  readonly failed?: boolean;
}

export const notice = new Cell<Notice | undefined>(undefined);

/** How many changes are under way: until they are told, the notice is of an earlier one, and so is its way back. */
export const changesUnderWay = new Cell(0);
