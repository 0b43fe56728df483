/** Worker ids that no store can hold. */

/**
 * The field of a Redis source hash that holds the source's attributes, beside one field a worker. A worker of that name
 * would overwrite them for every server that shares the Redis, so that no store takes it.
 */
export const attributesField = '__attributes__';
