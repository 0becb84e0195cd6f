/** What is wrong with a tool's arguments as far as they are written out: what a template gives is known at run alone. */
import { didYouMean } from '../nearest.js';
import type { Template } from '../plan.js';
import type { Segment } from '../pointer.js';
import { setOwn } from '../value-parts.js';
import type { Json } from '../value.js';
import type { StepSource } from './step-common.js';

type Path = readonly Segment[];

export function checkArguments(tool: string, args: Template, source: StepSource): void {
  const { argumentFaults } = source.compilation.context;
  if (argumentFaults === undefined || args.k === 'expr') return;
  const open: Path[] = [];
  const written = writtenPart(args, [], open);
  for (const { code, path, message, known } of argumentFaults(tool, written)) {
    if (code !== 'unknown_field' && open.some((place) => isWithin(path, place) || isWithin(place, path))) continue;
    const name = path.at(-1);
    source.compilation.error(code, source.at('arguments', ...path), message, {
      suggestion: () => (known === undefined || typeof name !== 'string' ? undefined : didYouMean(name, known)),
    });
  }
}

/** The arguments with null where only the run will tell; `open` collects those places. */
function writtenPart(template: Template, path: Path, open: Path[]): Json {
  switch (template.k) {
    case 'lit':
      return template.v;
    case 'expr':
    case 'text':
      open.push(path);
      return null;
    case 'list':
      return template.items.map((item, index) => writtenPart(item, [...path, index], open));
    case 'object': {
      const object: { [name: string]: Json } = {};
      for (const [name, entry] of template.entries) setOwn(object, name, writtenPart(entry, [...path, name], open));
      return object;
    }
  }
}

const isWithin = (path: Path, outer: Path): boolean => outer.every((segment, index) => path[index] === segment);
