export {
  type Body,
  type CallOptions,
  type Client,
  type ClientType,
  type CodeStatus,
  createClient,
  type Data,
  keptUuid,
  type Language,
  makeUuid,
  type Options,
  type Path,
  type Profile,
  type Storage,
} from "./client.js";
export type { Failure, Fault, RefusalCode, Result, User } from "./result.js";
export type { components, operations, paths } from "./schema.js";
export {
  type AbortSignalLike,
  fetchTransport,
  type Transport,
  type TransportAnswer,
  type TransportRequest,
} from "./transport.js";
