/** A step's `tools`: ids such as `files:read`, or `files:*`. Pure. */
export interface ToolAllowList {
  readonly isEmpty: boolean;
  permits(toolId: string): boolean;
}

/** Without a list every tool is permitted; an empty one permits none. `*` alone permits every tool, too. */
export function allowList(entries: readonly string[] | undefined): ToolAllowList {
  if (entries === undefined || entries.includes('*')) return { isEmpty: false, permits: () => true };
  const ids = new Set(entries);
  const providers = entries.filter((entry) => entry.endsWith(':*')).map((entry) => entry.slice(0, -1));
  return {
    isEmpty: entries.length === 0,
    permits: (id) => ids.has(id) || providers.some((provider) => id.startsWith(provider)),
  };
}
