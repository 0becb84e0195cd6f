-- A stored value may stand upon others: where, by JSON pointer. Its body shows them as readers see references.
ALTER TABLE "values" ADD COLUMN refs JSONB;
