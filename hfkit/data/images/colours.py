"""Colours that colour-blind readers can tell apart: Okabe and Ito 2008, "Color Universal Design", without black."""

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
