/** Memory of an inference engine in another process of this host, over a UNIX socket; docs/gpu.md has the protocol. */
export { EngineMemory, type EngineOptions, type EngineTensorMemory } from './memory.js';
