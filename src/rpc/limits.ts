/** gRPC settings that all clients and servers of this folder share. */
import type { ChannelOptions } from '@grpc/grpc-js';

/** 100 MiB, both ways, as ModelExpress has it. gRPC's own 4 MiB end at about 50 000 tensors. */
export const maxMessageBytes = 100 * 1024 * 1024;

export const channelOptions: ChannelOptions = {
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // With HTTP/2's 64 KiB a reply of megabytes comes in a hundred small steps, each of which costs the server a turn. The
  // window opens again when half of it is read: what is left then still holds the 7.4 MB of 50 000 tensors.
  'grpc-node.flow_control_window': 16 * 1024 * 1024,
  // While a channel waits for its next attempt to connect, every call fails at once. gRPC's default of up to two
  // minutes would keep a restarted server unseen for as long.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // Peers are on the cluster's own network; a proxy meant for the web must not stand between.
  'grpc.enable_http_proxy': 0,
  // Two clients of one address must not share a connection: closing one would be felt by the other.
  'grpc.use_local_subchannel_pool': 1,
};
