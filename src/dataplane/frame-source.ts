/** Where a frame came in that is to be brought again: which program sees it. */
export type FrameSource = 'underlay' | 'external';
