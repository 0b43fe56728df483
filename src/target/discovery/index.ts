import type { PullOptions, RegistryPullOptions, SessionPullOptions, SglangPullOptions } from '../options.js';
import { kindOf } from '../origins.js';
import type { Discovery } from './discovery.js';
import { RegistryDiscovery } from './registry/registry.js';
import { SessionDiscovery } from './session.js';
import { SglangDiscovery } from './sglang.js';

/** Of options that were checked. The caller closes it. @throws ERR_INVALID_ARGUMENT, ERR_TLS. */
export function discoveryOf(options: PullOptions): Discovery {
  switch (kindOf(options)) {
    case 'server':
      return new RegistryDiscovery(options as RegistryPullOptions);
    case 'sglang':
      return new SglangDiscovery(options as SglangPullOptions);
    case 'session':
      return new SessionDiscovery(options as SessionPullOptions);
  }
}
