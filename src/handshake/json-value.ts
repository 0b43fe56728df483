/** JSON in memory, as the parser makes it and the writer takes it. */

/** A JSON value. An integer literal is a `number` when that is exact, else a `bigint`. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}
