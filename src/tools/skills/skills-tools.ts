import { z } from 'zod';
import { nearest } from '../../definition/nearest.js';
import { StepFault } from '../step-fault.js';
import { defineTool, type Tool } from '../tool.js';
import type { SkillLibrary } from './skill-library.js';

const ListParameters = z.strictObject({});
const ReadParameters = z.strictObject({ name: z.string().min(1).max(100).describe('From skills:list') });

/** `skills:list` and `skills:read`. */
export function createSkillsTools(library: SkillLibrary): readonly Tool[] {
  const common = { risk: 'low', repeats: 'read_only', light: true, limitMs: () => 10_000 } as const;
  return [
    defineTool<z.infer<typeof ListParameters>>({
      ...common,
      id: 'skills:list',
      description: 'Lists documents that teach how to do something here',
      parameters: ListParameters,
      run: async () => ({ skills: (await library.list()).map((skill) => ({ ...skill })) }),
    }),
    defineTool<z.infer<typeof ReadParameters>>({
      ...common,
      id: 'skills:read',
      description: 'Reads one of these documents',
      parameters: ReadParameters,
      async run({ name }) {
        const skill = await library.read(name);
        if (skill !== undefined) return { name, text: skill.text };
        const names = (await library.list()).map((one) => one.name);
        const near = nearest(name, names);
        throw new StepFault('tool_failed', `There is no skill ${name}${near === undefined ? '' : `; did you mean ${near}?`}`, {
          details: { skills: names },
        });
      },
    }),
  ];
}
