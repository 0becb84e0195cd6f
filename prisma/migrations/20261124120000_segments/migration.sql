-- Segments (durability §6): what one activity has been fed while it ran a stretch of light steps, and which of its attempts may write.

-- `fence`: the activity's attempt that has the segment; writes of a lower one change nothing. `begun`: its first calls are written down.
-- `halt`: asked of this segment alone.
CREATE TABLE "segments" (
    "execution_id" TEXT NOT NULL,
    "segment_id" TEXT NOT NULL,
    "fence" INTEGER NOT NULL DEFAULT 0,
    "begun" BOOLEAN NOT NULL DEFAULT false,
    "halt" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "segments_pkey" PRIMARY KEY ("execution_id","segment_id")
);

CREATE TABLE "segment_inputs" (
    "execution_id" TEXT NOT NULL,
    "segment_id" TEXT NOT NULL,
    "ordinal" INTEGER NOT NULL,
    "input" JSON NOT NULL,

    CONSTRAINT "segment_inputs_pkey" PRIMARY KEY ("execution_id","segment_id","ordinal")
);

--   op 'segment': segment, fence, opens, "isHalted" (the caller knows), journal ([{ ordinal, input }]), ops (append, begin, end, in order)
--     -> { kind: 'segment', applied, halt, results: [the answer of each op], begun?, journal?: [inputs] } | { kind: 'superseded' } | { kind: 'closed' }
--     Where it is not applied nothing is written besides the fence: an opening of a segment that had begun (its `journal` is in the answer)
--     or that was asked to halt; and calls that would be begun behind an answer although a halt has come, of which the caller does not know yet.
ALTER TYPE signalbox_op ADD ATTRIBUTE segment text, ADD ATTRIBUTE opens boolean, ADD ATTRIBUTE "isHalted" boolean,
  ADD ATTRIBUTE journal json, ADD ATTRIBUTE ops json;

-- As before; and an execution that has gone on is halted no more, whoever resumed it. Without a status: how far a segment has come,
-- of which the engine's projection of the same counter does not know yet.
CREATE OR REPLACE FUNCTION signalbox_project_execution(p_execution text, p_counter integer, p_status text, p_progress json)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_status IS NULL THEN
    UPDATE executions SET progress = p_progress
    WHERE id = p_execution AND counter = p_counter AND status NOT IN ('completed', 'failed', 'cancelled');
    RETURN;
  END IF;
  UPDATE executions SET
    counter = p_counter,
    progress = p_progress,
    halt = halt AND NOT (status = 'paused' AND p_status <> 'paused'),
    status = CASE
      WHEN status = 'cancelling' OR p_status IN ('completed', 'failed', 'cancelled', 'pending') THEN status
      ELSE p_status END,
    started_at = coalesce(started_at, now()),
    updated_at = now()
  WHERE id = p_execution AND counter < p_counter AND status NOT IN ('completed', 'failed', 'cancelled');
END $$;

-- One operation on steps and log.
CREATE FUNCTION signalbox_do(s streams, is_closed boolean, o signalbox_op) RETURNS signalbox_done LANGUAGE plpgsql AS $$
BEGIN
  RETURN CASE o.op
    WHEN 'append' THEN ROW(json_build_object('kind', 'appended', 'closed', is_closed), signalbox_events(o.events))::signalbox_done
    WHEN 'begin' THEN signalbox_begin_step(s, is_closed, o)
    ELSE signalbox_end_step(s, is_closed, o)
  END;
END $$;

CREATE FUNCTION signalbox_segment(s streams, is_closed boolean, o signalbox_op) RETURNS signalbox_done LANGUAGE plpgsql AS $$
DECLARE
  g segments;
  halts boolean;
  is_applied boolean;
  n signalbox_op;
  done signalbox_done;
  answers json[] := '{}';
  events signalbox_event[] := '{}';
BEGIN
  IF is_closed THEN
    RETURN ROW('{"kind":"closed"}', '{}')::signalbox_done;
  END IF;
  IF o.opens THEN
    INSERT INTO segments AS t (execution_id, segment_id, fence) VALUES (s.id, o.segment, o.fence)
    ON CONFLICT (execution_id, segment_id) DO UPDATE SET fence = EXCLUDED.fence WHERE t.fence <= EXCLUDED.fence
    RETURNING * INTO g;
  ELSE
    SELECT * INTO g FROM segments WHERE execution_id = s.id AND segment_id = o.segment AND fence = o.fence;
  END IF;
  IF NOT FOUND THEN
    RETURN ROW('{"kind":"superseded"}', '{}')::signalbox_done;
  END IF;
  SELECT g.halt OR e.halt OR e.status = 'cancelling' INTO halts FROM executions AS e WHERE e.id = s.id;
  IF o.opens THEN
    is_applied := NOT g.begun AND NOT g.halt;
  ELSE
    -- A repeat of what was written already, because the answer was lost, is answered again.
    is_applied := o."isHalted" OR NOT halts OR json_array_length(o.journal) = 0 OR EXISTS (
      SELECT FROM segment_inputs AS i
      WHERE i.execution_id = s.id AND i.segment_id = o.segment AND i.ordinal = (o.journal -> 0 ->> 'ordinal')::integer);
  END IF;
  IF is_applied THEN
    IF NOT g.begun THEN
      UPDATE segments SET begun = true WHERE execution_id = s.id AND segment_id = o.segment;
    END IF;
    INSERT INTO segment_inputs (execution_id, segment_id, ordinal, input)
    SELECT s.id, o.segment, i.ordinal, i.input FROM json_to_recordset(o.journal) AS i(ordinal integer, input json)
    ON CONFLICT DO NOTHING;
    FOR n IN SELECT * FROM json_populate_recordset(NULL::signalbox_op, o.ops) LOOP
      done := signalbox_do(s, is_closed, n);
      answers := answers || done.answer;
      events := events || done.events;
    END LOOP;
  END IF;
  IF o.opens THEN
    RETURN ROW(json_build_object('kind', 'segment', 'applied', is_applied, 'halt', halts, 'results', array_to_json(answers), 'begun', g.begun,
      'journal', (SELECT coalesce(json_agg(i.input ORDER BY i.ordinal), '[]') FROM segment_inputs AS i
        WHERE i.execution_id = s.id AND i.segment_id = o.segment)), events)::signalbox_done;
  END IF;
  RETURN ROW(json_build_object('kind', 'segment', 'applied', is_applied, 'halt', halts, 'results', array_to_json(answers)), events)::signalbox_done;
END $$;

CREATE OR REPLACE FUNCTION signalbox_write(p_execution text, p_head json, p_ops json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  s streams;
  is_closed boolean;
  head signalbox_head := json_populate_record(NULL::signalbox_head, p_head);
  o signalbox_op;
  done signalbox_done;
  answers json[] := '{}';
  events signalbox_event[] := '{}';
BEGIN
  IF head.counter IS NOT NULL THEN
    PERFORM signalbox_project_execution(p_execution, head.counter, head.status, head.progress);
  END IF;
  SELECT * INTO s FROM streams WHERE id = p_execution FOR NO KEY UPDATE;
  is_closed := NOT FOUND OR s.closed_at IS NOT NULL;
  IF cardinality(head.delivered) > 0 THEN
    UPDATE commands SET delivered_at = now() WHERE delivered_at IS NULL AND target_id = p_execution AND id = ANY(head.delivered);
  END IF;
  FOR o IN SELECT * FROM json_populate_recordset(NULL::signalbox_op, p_ops) LOOP
    done := CASE o.op WHEN 'segment' THEN signalbox_segment(s, is_closed, o) ELSE signalbox_do(s, is_closed, o) END;
    answers := answers || done.answer;
    events := events || done.events;
  END LOOP;
  IF NOT is_closed AND cardinality(events) > 64 AND NOT EXISTS (
    SELECT FROM unnest(events) AS e WHERE e.kind IN ('execution.completed', 'execution.failed', 'execution.cancelled')
  ) THEN
    PERFORM signalbox_append_many(s, events);
  ELSE
    PERFORM signalbox_append_locked(s, events);
  END IF;
  RETURN json_build_object('session', s.session_id, 'results', array_to_json(answers));
END $$;
