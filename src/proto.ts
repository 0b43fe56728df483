/** The generated messages and gRPC service definitions of both wire contracts, for the package's `./proto` export. */
export * as modelExpress from './gen/model_express/p2p.js';
export * as weightcast from './gen/weightcast/seed.js';
