export { activeFeatures } from './ethtool.js';
export { NetlinkFormatError } from './message.js';
export type { Address, Change, Link, Neighbour, NeighbourState, Route, RouteType } from './route-message.js';
export { type LinkSettings, RouteNetlink, type RouteSpecification } from './route-netlink.js';
