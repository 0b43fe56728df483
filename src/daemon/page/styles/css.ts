/** Nothing but a name that prettier knows, and formats what is tagged with. */
export const css = String.raw;
