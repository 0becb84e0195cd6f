import { z } from 'zod';
import type { Json, JsonObject } from '../../definition/value.js';
import type { ToolDescription } from '../registry.js';
import type { Toolbox } from '../toolbox.js';

const Filter = z.object({ provider: z.string().optional().catch(undefined), query: z.string().optional().catch(undefined) });
/** Above this, parameters are left out: a model that needs them asks for less. */
const ROOM_BYTES = 24 * 1024;
const MAX_TOOLS = 200;

/** What `list_tools` answers: id, description, risk and parameters of each tool that is permitted. */
export async function listTools(toolbox: Toolbox, params: JsonObject, isPermitted: (tool: ToolDescription) => boolean): Promise<Json> {
  const { provider, query } = Filter.parse(params);
  const { tools, unavailable } = await toolbox.catalogue({
    ...(provider === undefined || provider === '' ? {} : { provider }),
    ...(query === undefined ? {} : { query }),
  });
  const permitted = tools.filter(isPermitted);
  const shown = permitted.slice(0, MAX_TOOLS).map(({ id, description, risk, parameters }) => ({ id, description, risk, parameters }));
  const fits = JSON.stringify(shown).length <= ROOM_BYTES;
  return {
    tools: fits ? shown : shown.map(({ id, description, risk }) => ({ id, description: description.slice(0, 200), risk })),
    ...(fits ? {} : { note: 'Parameters are left out: name a provider or a query to see them.' }),
    ...(permitted.length > MAX_TOOLS ? { more: permitted.length - MAX_TOOLS } : {}),
    ...(permitted.length === 0 ? { providers: [...toolbox.providers()] } : {}),
    ...(unavailable.length === 0 ? {} : { unavailable: unavailable.map((one) => ({ ...one })) }),
  };
}
