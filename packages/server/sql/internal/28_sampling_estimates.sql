-- The 95 % interval of a number of events, from the rows that sampling kept of them. Each kept row of weight w stands for
-- w events and was kept with probability 1 / w, so the sum of weights is unbiased (Horvitz and Thompson 1952). The interval
-- is Wilson's (1927) with a continuity correction, turned round to the number of trials: it holds for few rows too, where
-- a normal one does not. Events of a trace are kept together and count as one draw.
--
-- certain: rows that stand for themselves. estimated: sum of the other weights. kept: their rows. variance: sum over traces
-- of (1 - 1 / weight) x (sum of its weights)^2. unseen_weight: of events of which no row was kept.
create or replace function nowcast.sampling_interval(
  certain double precision, estimated double precision, kept double precision, variance double precision,
  unseen_weight double precision, out low double precision, out high double precision
)
  language plpgsql immutable as $$
declare
  z constant double precision := 1.959964;
  -- Variance an event: (1 - p) / p where each is kept with probability p; traces of m events make it m times that.
  spread constant double precision :=
    case when estimated > 0 then variance / estimated else coalesce(unseen_weight, 1) - 1 end;
  p constant double precision := 1 / (1 + spread);
  draws constant double precision := estimated * p;
  fewer constant double precision := greatest(draws - 0.5, 0);
  slack constant double precision := z * z * (1 - p);
begin
  low := certain;
  high := certain;
  if spread > 0 then
    low := certain + greatest(kept, (fewer + slack / 2 - sqrt(slack * (fewer + slack / 4))) / p);
    high := certain + (draws + 0.5 + slack / 2 + sqrt(slack * (draws + 0.5 + slack / 4))) / p;
  end if;
end
$$;
