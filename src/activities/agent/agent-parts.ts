import type { Database } from '../../store/database.js';
import type { AgentTools } from '../../tools/index.js';
import type { ModelClient } from '../model/model-client.js';
import type { RunFactsSource } from '../run-facts.js';
import type { Turns } from '../turns.js';

/** What the activities of agents work with. */
export interface AgentParts {
  readonly db: Database;
  readonly facts: RunFactsSource;
  readonly turns: Turns;
  readonly model: ModelClient;
  /** The deployment's, in order of preference. */
  readonly models: readonly string[];
  readonly tools: AgentTools;
}
