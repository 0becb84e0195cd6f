/** Providers whose tools work in the run's workspace, which lies on the hosts of the queue `signalbox-shell`. */
const HOST_BOUND = ['files:', 'shell:'] as const;

/** Whether calls of a tool have to run where the workspace is. Pure, and the same in every version: the host chooses the queue by it. */
export const isHostBound = (toolId: string): boolean => HOST_BOUND.some((provider) => toolId.startsWith(provider));
