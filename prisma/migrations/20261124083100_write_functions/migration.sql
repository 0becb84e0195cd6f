-- The hot path: what activities record is one call, one statement, one transaction. Every statement inside sees what was
-- committed before it, so that a check made after taking the stream's row lock holds.
--
-- Lock order everywhere: executions row, execution's stream row, session's stream row, then others. All writers of an
-- execution's events, steps and gates hold its stream row.

-- Appends in the order given; an event whose key is there already changes nothing. The terminal event closes the stream, and
-- a closed stream takes nothing. The caller holds no lock that comes later in the order.
-- p_events: [{ key, kind, executionId? (of a session's event), stepId, path, attempt, at (ms), data, step?, log? }]; `step` is what the event says of its step's row
-- ({ key, type, status, input, output, error, choice, warnings, usage, seeded }); `log` false projects without an event.
-- Returns the seq of each event, null where nothing was appended.
CREATE FUNCTION signalbox_append(p_stream text, p_events json) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  s streams;
  mirror_seq integer;
  next integer;
  seqs integer[] := '{}';
  e record;
  is_closed boolean;
BEGIN
  SELECT * INTO s FROM streams WHERE id = p_stream FOR NO KEY UPDATE;
  is_closed := NOT FOUND OR s.closed_at IS NOT NULL;
  IF is_closed THEN
    RETURN array_fill(NULL::integer, ARRAY[json_array_length(p_events)]);
  END IF;
  next := s.next_seq;
  IF s.session_id IS NOT NULL THEN
    SELECT next_seq INTO mirror_seq FROM streams WHERE id = s.session_id FOR NO KEY UPDATE;
  END IF;
  FOR e IN SELECT * FROM json_to_recordset(p_events)
    AS x(key text, kind text, "executionId" text, "stepId" text, path text, attempt integer, at bigint, data json, step json, log boolean)
  LOOP
    IF is_closed THEN
      seqs := seqs || NULL::integer;
      CONTINUE;
    END IF;
    IF e.log IS FALSE THEN
      PERFORM signalbox_project_step(p_stream, s.owner_id, e."stepId", e.path, e.attempt, e.at, e.step);
      seqs := seqs || NULL::integer;
      CONTINUE;
    END IF;
    INSERT INTO events (stream_id, seq, owner_id, session_id, session_seq, event_key, execution_id, kind, step_id, iteration_path, attempt, at, data)
    VALUES (
      p_stream, next, s.owner_id,
      CASE s.kind WHEN 'session' THEN p_stream ELSE s.session_id END,
      CASE s.kind WHEN 'session' THEN next ELSE mirror_seq END,
      e.key, CASE s.kind WHEN 'execution' THEN p_stream ELSE e."executionId" END, e.kind, e."stepId", e.path, e.attempt, to_timestamp(e.at / 1000.0), e.data)
    ON CONFLICT (stream_id, event_key) DO NOTHING;
    IF NOT FOUND THEN
      seqs := seqs || NULL::integer;
      CONTINUE;
    END IF;
    seqs := seqs || next;
    next := next + 1;
    mirror_seq := mirror_seq + 1;
    IF e.step IS NOT NULL THEN
      PERFORM signalbox_project_step(p_stream, s.owner_id, e."stepId", e.path, e.attempt, e.at, e.step);
    END IF;
    is_closed := e.kind IN ('execution.completed', 'execution.failed', 'execution.cancelled');
  END LOOP;
  IF next > s.next_seq THEN
    UPDATE streams SET next_seq = next, closed_at = CASE WHEN is_closed THEN now() END WHERE id = p_stream;
    IF mirror_seq IS NOT NULL THEN
      UPDATE streams SET next_seq = mirror_seq WHERE id = s.session_id;
    END IF;
  END IF;
  RETURN seqs;
END $$;

-- What an event says of its step's row. A row that has ended never changes.
CREATE FUNCTION signalbox_project_step(p_execution text, p_owner text, p_step_id text, p_path text, p_attempt integer, p_at bigint, p_step json)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  instant timestamptz := to_timestamp(p_at / 1000.0);
  p record;
  is_end boolean;
BEGIN
  SELECT * INTO p FROM json_to_record(p_step) AS x(key text, type text, status text, input json, output json, error json, choice json,
    warnings json, usage json, model text, "turnIds" json, seeded boolean);
  is_end := p.status IN ('completed', 'failed', 'cancelled', 'skipped');
  INSERT INTO steps AS t (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, input, output, error, choice,
    warnings, usage, model, turn_ids, seeded, started_at, completed_at)
  VALUES (p_execution, p.key, p_owner, p_step_id, p_path, p_attempt, p.type, p.status, p.input, p.output, p.error, p.choice,
    p.warnings, p.usage, p.model, p."turnIds", coalesce(p.seeded, false),
    CASE WHEN p.status <> 'skipped' THEN instant END, CASE WHEN is_end THEN instant END)
  ON CONFLICT (execution_id, instance_key) DO UPDATE SET
    status = EXCLUDED.status,
    input = coalesce(EXCLUDED.input, t.input),
    output = coalesce(EXCLUDED.output, t.output),
    error = coalesce(EXCLUDED.error, t.error),
    choice = coalesce(EXCLUDED.choice, t.choice),
    warnings = coalesce(EXCLUDED.warnings, t.warnings),
    usage = coalesce(EXCLUDED.usage, t.usage),
    model = coalesce(EXCLUDED.model, t.model),
    turn_ids = coalesce(EXCLUDED.turn_ids, t.turn_ids),
    started_at = coalesce(t.started_at, EXCLUDED.started_at),
    completed_at = EXCLUDED.completed_at
  WHERE t.status NOT IN ('completed', 'failed', 'cancelled', 'skipped');
END $$;

-- The engine's projection on the execution's row: a higher counter only, no end (that is settled elsewhere), nothing after an
-- end, and from `cancelling` no way back.
CREATE FUNCTION signalbox_project_execution(p_execution text, p_counter integer, p_status text, p_progress json)
RETURNS void LANGUAGE sql AS $$
  UPDATE executions SET
    counter = p_counter,
    progress = p_progress,
    status = CASE
      WHEN status = 'cancelling' OR p_status IN ('completed', 'failed', 'cancelled', 'pending') THEN status
      ELSE p_status END,
    started_at = coalesce(started_at, now()),
    updated_at = now()
  WHERE id = p_execution AND counter < p_counter AND status NOT IN ('completed', 'failed', 'cancelled');
$$;

-- The recorded answer of a step's row.
CREATE FUNCTION signalbox_answer(st steps) RETURNS json LANGUAGE sql IMMUTABLE AS $$
  SELECT json_build_object('kind', 'ended', 'status', st.status, 'at', (extract(epoch FROM st.completed_at) * 1000)::bigint,
    'output', st.output, 'error', st.error, 'warnings', st.warnings, 'usage', st.usage);
$$;

-- One batch of one process for one execution.
-- p_carry: { counter, status, progress, delivered[] } (the highest counter of the batch), or null.
-- p_ops, in order, each answered in the result:
--   { op: 'append', events }                                                        -> { kind: 'appended', seqs }
--   { op: 'begin', key, stepId, path, attempt, type, at, input, holder, mayRepeat, events, started, unknownError, unknown }
--        -> { kind: 'run', fence } | { kind: 'ended', ... } | { kind: 'closed' }
--   { op: 'end', key, fence (null: fence off whoever holds it), stepId, path, attempt, type, at, status, output, error, warnings, usage, model,
--     turnIds, events } -> { kind: 'ended', ... } | { kind: 'superseded' } | { kind: 'closed' }
CREATE FUNCTION signalbox_write(p_execution text, p_carry json, p_ops json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  s streams;
  is_closed boolean;
  o json;
  results json[] := '{}';
BEGIN
  IF p_carry IS NOT NULL THEN
    PERFORM signalbox_project_execution(p_execution, (p_carry->>'counter')::integer, p_carry->>'status', p_carry->'progress');
  END IF;
  SELECT * INTO s FROM streams WHERE id = p_execution FOR NO KEY UPDATE;
  is_closed := NOT FOUND OR s.closed_at IS NOT NULL;
  IF json_array_length(p_carry->'delivered') > 0 THEN
    UPDATE commands SET delivered_at = now()
    WHERE delivered_at IS NULL AND target_id = p_execution AND id IN (SELECT json_array_elements_text(p_carry->'delivered'));
  END IF;
  FOR o IN SELECT * FROM json_array_elements(p_ops) LOOP
    results := results || CASE o->>'op'
      WHEN 'append' THEN json_build_object('kind', 'appended', 'closed', is_closed, 'seqs', signalbox_append(p_execution, o->'events'))
      WHEN 'begin' THEN signalbox_begin_step(s, is_closed, o)
      ELSE signalbox_end_step(s, is_closed, o)
    END;
  END LOOP;
  RETURN json_build_object('session', s.session_id, 'results', array_to_json(results));
END $$;

CREATE FUNCTION signalbox_begin_step(s streams, is_closed boolean, o json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  st steps;
BEGIN
  IF json_array_length(o->'events') > 0 THEN
    PERFORM signalbox_append(s.id, o->'events');
  END IF;
  SELECT * INTO st FROM steps WHERE execution_id = s.id AND instance_key = o->>'key';
  IF st.status IN ('completed', 'failed', 'cancelled', 'skipped') THEN
    RETURN signalbox_answer(st);
  END IF;
  IF is_closed THEN
    RETURN json_build_object('kind', 'closed');
  END IF;
  IF st.status IS NULL OR st.fence = 0 THEN
    INSERT INTO steps (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, fence, holder, input, started_at)
    VALUES (s.id, o->>'key', s.owner_id, o->>'stepId', o->>'path', (o->>'attempt')::integer, o->>'type', 'running', 1, o->>'holder', o->'input',
      to_timestamp((o->>'at')::bigint / 1000.0))
    ON CONFLICT (execution_id, instance_key) DO UPDATE SET status = 'running', fence = 1, holder = EXCLUDED.holder, input = EXCLUDED.input,
      started_at = coalesce(steps.started_at, EXCLUDED.started_at);
    PERFORM signalbox_append(s.id, json_build_array(o->'started'));
    RETURN json_build_object('kind', 'run', 'fence', 1);
  END IF;
  IF st.holder = o->>'holder' THEN
    RETURN json_build_object('kind', 'run', 'fence', st.fence);
  END IF;
  IF (o->>'mayRepeat')::boolean THEN
    UPDATE steps SET fence = fence + 1, holder = o->>'holder' WHERE execution_id = s.id AND instance_key = st.instance_key;
    RETURN json_build_object('kind', 'run', 'fence', st.fence + 1);
  END IF;
  UPDATE steps SET fence = fence + 1, holder = NULL, status = 'failed', error = o->'unknownError', completed_at = to_timestamp((o->>'at')::bigint / 1000.0)
  WHERE execution_id = s.id AND instance_key = st.instance_key RETURNING * INTO st;
  PERFORM signalbox_append(s.id, json_build_array(o->'unknown'));
  RETURN signalbox_answer(st);
END $$;

CREATE FUNCTION signalbox_end_step(s streams, is_closed boolean, o json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  st steps;
BEGIN
  SELECT * INTO st FROM steps WHERE execution_id = s.id AND instance_key = o->>'key';
  IF st.status IN ('completed', 'failed', 'cancelled', 'skipped') THEN
    RETURN signalbox_answer(st);
  END IF;
  IF is_closed THEN
    RETURN json_build_object('kind', 'closed');
  END IF;
  IF o->>'fence' IS NOT NULL AND st.fence IS DISTINCT FROM (o->>'fence')::integer THEN
    RETURN json_build_object('kind', 'superseded');
  END IF;
  INSERT INTO steps AS t (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, fence, output, error, warnings, usage,
    model, turn_ids, completed_at)
  VALUES (s.id, o->>'key', s.owner_id, o->>'stepId', o->>'path', (o->>'attempt')::integer, o->>'type', o->>'status', 1, o->'output', o->'error',
    o->'warnings', o->'usage', o->>'model', o->'turnIds', to_timestamp((o->>'at')::bigint / 1000.0))
  ON CONFLICT (execution_id, instance_key) DO UPDATE SET
    status = EXCLUDED.status, output = EXCLUDED.output, error = EXCLUDED.error, warnings = coalesce(EXCLUDED.warnings, t.warnings),
    usage = coalesce(EXCLUDED.usage, t.usage), model = coalesce(EXCLUDED.model, t.model), turn_ids = coalesce(EXCLUDED.turn_ids, t.turn_ids),
    completed_at = EXCLUDED.completed_at, holder = NULL,
    fence = CASE WHEN o->>'fence' IS NULL THEN t.fence + 1 ELSE t.fence END
  RETURNING * INTO st;
  PERFORM signalbox_append(s.id, o->'events');
  RETURN signalbox_answer(st);
END $$;
