"""Whether pictures of scenes show what their sentences say, from pixels alone.

    mixing       which colour, and how much of it, is in every pixel
    components   which pixels belong together
    things       what shape they make, how large and where
    verdicts     whether these things are those of a sentence
    checking     the same for many pictures, as a table
    variety      how much pictures of one sentence differ

The checker knows the words and the ideal shapes of `sfumato.data.scenes`, and no scene that was ever drawn.
"""

from sfumato.metrics.scene_checker.checking import Checked, check
from sfumato.metrics.scene_checker.things import Seen, see
from sfumato.metrics.scene_checker.variety import variety
from sfumato.metrics.scene_checker.verdicts import ASPECTS, judge

__all__ = ["ASPECTS", "Checked", "Seen", "check", "judge", "see", "variety"]
