-- Worker processes that are there: Temporal remembers for minutes who asked it last, also the dead.
CREATE TABLE "workers" (
    "id" TEXT NOT NULL,
    "queues" TEXT[] NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workers_pkey" PRIMARY KEY ("id")
);
