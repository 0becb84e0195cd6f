/** The declared inputs. */
import { isSameJson } from '../json-check.js';
import { typeOf } from '../inputs.js';
import type { VariablePlan, VariableType } from '../plan.js';
import type { Json } from '../value.js';
import { type Compilation, type Place, inside } from './context.js';
import { given } from './given.js';

export interface VariableFields {
  readonly type?: VariableType;
  readonly description?: string;
  readonly required?: boolean;
  readonly default?: Json;
  readonly enum?: readonly Json[];
}

/** A default and the allowed values have to be of the declared type. */
export function compileVariables(
  variables: { readonly [name: string]: VariableFields },
  place: Place,
  compilation: Compilation,
): { readonly [name: string]: VariablePlan } {
  return Object.fromEntries(
    Object.entries(variables).map(([name, fields]) => {
      const here = inside(place, name);
      const { type = 'string', required = false } = fields;
      if (fields.default !== undefined && fields.default !== null) checkDefault(fields.default, type, fields.enum, here, compilation);
      for (const [index, value] of (fields.enum ?? []).entries()) {
        if (typeOf(value) !== type)
          compilation.error('invalid_field', inside(here, 'enum', index), `enum: expected ${type}, got ${typeOf(value)}`);
      }
      return [name, given({ type, description: fields.description, required, default: fields.default, enum: fields.enum })];
    }),
  );
}

function checkDefault(value: Json, type: VariableType, allowed: readonly Json[] | undefined, here: Place, compilation: Compilation): void {
  if (typeOf(value) !== type)
    compilation.error('invalid_field', inside(here, 'default'), `default: expected ${type}, got ${typeOf(value)}`);
  else if (allowed !== undefined && !allowed.some((each) => isSameJson(each, value)))
    compilation.error('invalid_field', inside(here, 'default'), 'default: not among the values of enum');
}
