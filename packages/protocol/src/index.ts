export * from './copy.ts';
export * from './fields.ts';
export * from './openapi.ts';
export * from './timestamp.ts';
export * from './validate.ts';
