/** Where RDMA devices and accelerators are, and which are near to each other. */
export { distanceOf, nearestTo, readAffinity, type AcceleratorDistances, type Affinity } from './affinity.js';
export { distances, type Distance } from './distance.js';
