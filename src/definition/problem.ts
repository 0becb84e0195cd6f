/** What is wrong, or suspicious, in something a user wrote. Data, never thrown. */
export type ProblemCode =
  | 'malformed_definition'
  | 'definition_too_large'
  | 'unknown_step_type'
  | 'missing_field'
  | 'invalid_field'
  | 'unknown_field'
  | 'invalid_step_id'
  | 'duplicate_step_id'
  | 'expression_parse_error'
  | 'duration_invalid'
  | 'output_schema_invalid'
  | 'tool_unknown'
  | 'subworkflow_not_found'
  | 'schedule_dom_dow'
  | 'unknown_variable'
  | 'output_not_yet_published'
  | 'id_shadowed'
  | 'unreachable_branch'
  | 'shell_interpolation_quoted'
  | 'version_reused'
  | 'input_required_missing'
  | 'input_type_mismatch'
  | 'input_not_in_enum'
  | 'input_unknown';

export interface Problem {
  readonly code: ProblemCode;
  readonly severity: 'error' | 'warning';
  /** JSON pointer into the document as its author wrote it. */
  readonly path: string;
  readonly stepId?: string;
  readonly message: string;
  readonly suggestion?: string;
  /** In an expression or template: the character at fault, from 1, within the text at `path`. */
  readonly column?: number;
}
